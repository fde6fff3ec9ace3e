"""The genesis file: network parameters, the first header and the first state. Pure."""
