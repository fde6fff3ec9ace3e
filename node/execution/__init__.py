"""State transition: py-evm behind one module, driven by our own block executor."""
