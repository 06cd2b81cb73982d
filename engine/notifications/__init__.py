"""What people and forges are told: rules, messages, channels, and when a message is tried again."""
