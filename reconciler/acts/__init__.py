"""Acts: found on their branch, asked who answers for them, judged one by one, answered once."""
