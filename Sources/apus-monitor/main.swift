print("apus-monitor")
