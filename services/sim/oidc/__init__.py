"""A simulated デジタル認証アプリ: its published rules, and a card at its app. Development only."""
