"""The HTTP routes and the messages behind them."""
