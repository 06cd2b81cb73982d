"""Built-in step libraries, as data. None ships yet."""
