"""What this machine has: devices, their memory, and how full it is."""
