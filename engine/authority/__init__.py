"""Who may do what: signatures, the chain of trust, permissions, and what a change or an act needs of them."""
