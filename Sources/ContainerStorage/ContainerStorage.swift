// ContainerStorage
