"""Files that people have, as documents."""
