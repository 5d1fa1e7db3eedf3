"""Values as text, and back: what Go's fmt and strconv write and read."""
