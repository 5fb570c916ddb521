"""What reading a meter costs, beside Home Assistant's built-in `dsmr`."""
