"""Teacher and student of "Distilling Reflection Dynamics" (Zheng et al., ICCVW 2021), as reconstructed here.

The body of the paper, the code and the weights are not public. The module names (Decouple, Flow and Fusion Net,
Hallucination) and their connections are from the authors' poster; their layers are designs of this project. Results of
these networks are results of this reconstruction, not of the paper's model.
"""
