"""Writers of other projects' formats, one file each."""
