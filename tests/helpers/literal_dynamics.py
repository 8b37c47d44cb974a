"""The dynamics networks in NumPy, item by item as section 2 and 4 of their specification words them."""

from __future__ import annotations

import numpy as np

from tests.helpers.literal import (
    conv2d,
    cost_volume,
    leaky_relu,
    relu,
    residual,
    sigmoid,
    upsample_bilinear,
    upsample_nearest,
    warp,
)


def encoder(x, p):
    e1 = relu(conv2d(relu(conv2d(x, **p["conv1"])), **p["conv2"]))
    e2 = relu(conv2d(e1, **p["conv3"], stride=2))
    for i in range(2):
        e2 = residual(e2, p[f"half{i}"])
    f = relu(conv2d(e2, **p["conv4"], stride=2))
    for i in range(6):
        f = residual(f, p[f"quarter{i}"])
    return e1, e2, f


def decouple_net(f, p):
    mask = sigmoid(conv2d(relu(conv2d(f, **p["mask1"])), **p["mask2"]))
    psi_t, psi_r = mask * f, (1.0 - mask) * f
    for i in range(2):
        psi_t, psi_r = residual(psi_t, p[f"transmission{i}"]), residual(psi_r, p[f"reflection{i}"])
    return psi_t, psi_r


def layer_head(psi, p):
    return conv2d(relu(conv2d(psi, **p["conv1"])), **p["conv2"])


def pyramid(psi, p):
    def step(x, name, stride=1):
        return leaky_relu(conv2d(x, **p[name], stride=stride), 0.1)

    p4 = step(step(psi, "project"), "stride4")
    p8 = step(step(p4, "stride8_down", 2), "stride8")
    return p4, p8, step(step(p8, "stride16_down", 2), "stride16")


def comparable(x):
    x = x - x.mean(axis=(1, 2), keepdims=True)
    return x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + 1e-6)


def flow_net(source, target, p):
    """The flows from the target frame [B, h, w, C] to the source frame, from coarse to fine."""

    def head(x, p, dilations):
        for i, dilation in enumerate(dilations):
            x = leaky_relu(conv2d(x, **p[f"conv{i}"], dilation=dilation), 0.1)
        return conv2d(x, **p["flow"])

    source, target = pyramid(source, p["pyramid"]), pyramid(target, p["pyramid"])
    flow, flows = np.zeros((*target[2].shape[:3], 2)), []
    for stride, level in ((16, 2), (8, 1), (4, 0)):
        if stride < 16:
            flow = 2.0 * upsample_bilinear(flow, 2)
        warped, _ = warp(source[level], flow)
        costs = leaky_relu(cost_volume(comparable(target[level]), comparable(warped), 4), 0.1)
        flow = flow + head(np.concatenate([costs, target[level], flow], -1), p[f"estimator{stride}"], (1,) * 5)
        flows.append(flow)
    flows[-1] = flow + head(np.concatenate([target[0], flow], -1), p["context"], (1, 2, 4, 8))
    return flows


def fusion_net(psi, flow, f, p):
    """Per layer L in "tr" and neighbor s in (0, 1): psi[L] three frames, flow[L][s]."""
    half = f.shape[-1] // 2
    fused = {}
    for layer, name in (("t", "transmission"), ("r", "reflection")):
        before, middle, after = psi[layer]
        gated = []
        for neighbor, motion in zip((before, after), flow[layer], strict=True):
            z, valid = warp(neighbor, motion)
            similarity = (conv2d(z, **p["theta"]) * conv2d(middle, **p["phi"])).sum(-1, keepdims=True)
            gated.append(sigmoid(similarity / np.sqrt(half)) * valid * z)
        merged = conv2d(np.concatenate([gated[0], middle, gated[1]], -1), **p[f"merge_{name}"])
        fused[layer] = residual(merged, p[f"refine_{name}"])
    m = np.concatenate([flow["t"][0], flow["r"][0], flow["t"][1], flow["r"][1]], -1) / 16.0
    k = conv2d(np.concatenate([fused["t"], fused["r"], f, m], -1), **p["knowledge"])
    for i in range(2):
        k = residual(k, p[f"knowledge{i}"])
    return k


def plain_fusion(psi, flow, p):
    means = [sum(warp(psi[n][2 * s], flow[n][s])[0] for s in range(2)) / 2.0 for n in "tr"]
    return conv2d(np.concatenate([psi["t"][1], psi["r"][1], *means], -1), **p["merge"])


def decoder(k, e1, e2, image, p):
    d = k
    for i in range(4):
        d = residual(d, p[f"deep{i}"])
    for name, skip in (("half", e2), ("full", e1)):
        q = p[name]
        up = upsample_nearest(d, 2)
        u = relu(conv2d(up, **q["up"]))
        a = sigmoid(conv2d(up, **q["gate"]))
        d = relu(conv2d(np.concatenate([u, a * skip], -1), **q["merge"]))
        for i in range(2):
            d = residual(d, q[f"refine{i}"])
    return image + conv2d(d, **p["out"])


def teacher(frames, p, *, mkl=True, decouple_net_on=True, flow_net_on=True, fusion_net_on=True):
    """Outputs for [B, 3, H, W, 3], H and W multiples of 16."""
    encoded = [encoder(frames[:, i].astype(np.float64), p["encoder"]) for i in range(3)]
    f = [e[2] for e in encoded]
    outputs = {"features": f[1]}
    if not mkl:
        k = conv2d(f[1], **p["knowledge"])
    else:
        if decouple_net_on:
            psi = dict(zip("tr", zip(*(decouple_net(x, p["decouple"]) for x in f), strict=True), strict=True))
            for layer in "tr":
                outputs[f"psi_{layer}"] = np.stack(psi[layer], 1)
                heads = [layer_head(x, p[f"head_{layer}"]) for x in psi[layer]]
                outputs[f"layers_{layer}"] = np.stack(heads, 1)
        else:
            psi = {"t": f, "r": f}
        if flow_net_on:
            flow = {n: [flow_net(psi[n][s], psi[n][1], p["flow"]) for s in (0, 2)] for n in "tr"}
            for i, size in enumerate(("_quarter", "_half", "")):
                outputs |= {f"flow_{n}{size}": np.stack([flows[i] for flows in flow[n]], 1) for n in "tr"}
            flow = {n: [flows[-1] for flows in flow[n]] for n in "tr"}
        else:
            flow = {n: [np.zeros((*f[1].shape[:3], 2))] * 2 for n in "tr"}
        q = p["fusion"]
        k = fusion_net(psi, flow, f[1], q) if fusion_net_on else plain_fusion(psi, flow, q)
    restored = decoder(k, encoded[1][0], encoded[1][1], frames[:, 1], p["decoder"])
    return outputs | {"knowledge": k, "restored": restored}


def hypercolumn(image, e1, e2, f, p):
    """The features with those of VGG-19 (torchvision's weights) added, and what is added to K_hat."""
    x = (image - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    seen = []
    for block, count, spread in ((1, 2, 126.0), (2, 2, 219.0), (3, 2, 251.0)):
        if block > 1:
            b, h, w, c = x.shape
            x = x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))
        for i in range(1, count + 1):
            x = relu(conv2d(x, **p["vgg19"][f"conv{block}_{i}"]))
        seen.append(x * 255 * 0.226 / spread)
    joined = [
        own + conv2d(0.1 * features, **p[name])
        for own, features, name in zip((e1, e2, f), seen, ("full", "half", "quarter"), strict=True)
    ]
    context = relu(conv2d(np.concatenate((0.3 * seen[2], joined[2]), axis=-1), **p["context_in"]))
    for i, dilation in enumerate((1, 2, 4, 2)):
        context = residual(context, p[f"context{i}"], dilation=dilation)
    return *joined, conv2d(context, **p["context_out"])


def student(image, p, *, hallucination=True):
    """Outputs for [B, H, W, 3], H and W multiples of 16."""
    e1, e2, f = encoder(image.astype(np.float64), p["encoder"])
    k, context = f, 0.0
    if "hypercolumn" in p:
        e1, e2, k, context = hypercolumn(image.astype(np.float64), e1, e2, f, p["hypercolumn"])
    if hallucination:
        q = p["hallucination"]
        for i, dilation in enumerate((1, 2, 4, 4, 2, 1)):
            k = residual(k, q[f"residual{i}"], dilation=dilation)
        k = conv2d(k, **q["out"])
    k = k + context
    return {"features": f, "knowledge": k, "restored": decoder(k, e1, e2, image, p["decoder"])}
