"""What agents may ask: tools that look, explain and prepare. None of them changes anything."""
