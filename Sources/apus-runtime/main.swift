print("apus-runtime")
