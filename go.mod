module strongroom

go 1.26
