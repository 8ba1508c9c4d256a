// ContainerImage
