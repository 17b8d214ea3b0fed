"""A trained network as one file for other programs and machines: ONNX, ExecuTorch, a phone's page.

    graph.py             what the file computes: photo in, classes and how sure they are out
    metadata.py          what stands inside the file: classes, sizes, thresholds, where it is from
    onnx_files.py        .onnx in fp32 and fp16; int8.py: in int8
    executorch_files.py  .pte in fp32 and int8; executorch_runtime.py opens them
    runtime.py           ExportedModel: predicts with such a file as with the network itself
    tested.py            such a file in scripts/test.py

Only scripts use this wing. What it needs beside torch is in the extras `export` and `phone`.
"""
