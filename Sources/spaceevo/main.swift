print("spaceevo")
