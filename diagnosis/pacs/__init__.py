"""Archives that are asked for studies: by C-FIND and C-GET or C-MOVE, or by QIDO-RS and WADO-RS."""
