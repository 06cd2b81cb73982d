"""When something is due by the calendar: rules, clock changes, zones, holidays and windows."""
