"""What a port leaves zooport as: files that other tools take without knowing zooport."""
