"""What people see, as values and as files of the status branch, and the way back from them."""
