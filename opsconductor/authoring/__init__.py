"""What writes into a checkout: new documents, canonical form, imports, libraries, patches."""
