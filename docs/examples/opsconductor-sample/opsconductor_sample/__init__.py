"""One part of each kind that a plug-in can bring to OpsConductor."""
