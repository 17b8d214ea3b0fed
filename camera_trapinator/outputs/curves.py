def write_curves(a,b): pass
