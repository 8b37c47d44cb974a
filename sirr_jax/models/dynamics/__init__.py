"""Teacher and student of "Distilling Reflection Dynamics" (Zheng et al., ICCVW 2021): our reconstruction.

The paper's body, code and weights are not public. The module names (Decouple, Flow and Fusion Net, Hallucination) and
the way they connect come from the authors' poster; the layers inside them are ours. Results of these networks are
results of this reconstruction, never of the paper's model.
"""
