"""What a merge would change, said by the functions that then do it."""
