"""What a chip's precision does to a port: which operators lose, and which to keep in float32."""
