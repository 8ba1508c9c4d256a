// ContainerMonitor
