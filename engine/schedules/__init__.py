"""What the due instants of schedules come to, and why."""
