// ContainerNetwork
