"""From files on the disk to arrays: photos, masks, the manifest and its splits, checks, caches."""
