"""Real processes of the built executable, and the stock gRPC client that talks to them."""
