"""Pure modules: batch in, batch out."""
