"""DICOM's own network protocol: C-ECHO and C-STORE (PS3.4 annexes A and B)."""
