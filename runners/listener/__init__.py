"""The receiver of webhooks: who sent it is proven first, then it is recorded, and only then answered."""
