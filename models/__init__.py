"""Example models: seeded builders of networks from the field, and a small trained one that compiles quickly."""
