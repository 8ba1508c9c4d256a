print("apus-init")
