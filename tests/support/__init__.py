"""What tests share: tiny models, rows and collections."""
