"""The benchmark's five networks in PyTorch, and `mlp` in JAX.

They are the same networks as pare's zoo, layer by layer: the parameter counts below are asserted, so
that a benchmark never compares two different networks.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """Input shape (without the batch), classes and the number of trained parameters."""

    shape: tuple
    classes: int
    params: int


SPECS = {
    "mlp": Spec((784,), 10, 266_610),
    "lenet5-classic": Spec((1, 28, 28), 10, 61_706),
    "lenet5": Spec((1, 28, 28), 10, 431_080),
    "cifar-cnn": Spec((3, 32, 32), 10, 1_116_970),
    "resnet20": Spec((3, 32, 32), 10, 269_722),
}


def torch_net(name):
    """The PyTorch module called `name`, with PyTorch's own initial weights."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        """Two 3x3 convolutions around a shortcut of strided slice and channel padding."""

        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.stride = stride
            self.extra = outputs - inputs

        def forward(self, x):
            y = F.relu(self.bn1(self.conv1(x)))
            y = self.bn2(self.conv2(y))
            if self.stride != 1 or self.extra:
                x = x[:, :, :: self.stride, :: self.stride]
                x = F.pad(x, (0, 0, 0, 0, 0, self.extra))
            return F.relu(x + y)

    class Pooled(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    def conv(inputs, outputs, size, padding=0):
        return [nn.Conv2d(inputs, outputs, size, padding=padding), nn.ReLU()]

    def dense(*widths):
        layers = []
        for a, b in zip(widths, widths[1:]):
            layers += [nn.Linear(a, b), nn.ReLU()]
        return layers[:-1]

    def pool():
        return nn.MaxPool2d(2)

    if name == "mlp":
        layers = dense(784, 300, 100, 10)
    elif name == "lenet5-classic":
        layers = conv(1, 6, 5, 2) + [pool()] + conv(6, 16, 5) + [pool(), nn.Flatten()]
        layers += dense(400, 120, 84, 10)
    elif name == "lenet5":
        # As in Caffe: no activation between a convolution and its pooling.
        layers = [nn.Conv2d(1, 20, 5), pool(), nn.Conv2d(20, 50, 5), pool(), nn.Flatten()]
        layers += dense(800, 500, 10)
    elif name == "cifar-cnn":
        layers = conv(3, 32, 3, 1) + conv(32, 32, 3, 1) + [pool()]
        layers += conv(32, 64, 3, 1) + conv(64, 64, 3, 1) + [pool(), nn.Flatten()]
        layers += dense(4096, 256, 10)
    elif name == "resnet20":
        layers = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        inputs = 16
        for outputs in (16, 32, 64):
            for index in range(3):
                layers.append(Block(inputs, outputs, 2 if outputs > inputs else 1))
                inputs = outputs
        layers += [Pooled(), nn.Linear(64, 10)]
    else:
        raise SystemExit(f"no network called '{name}'; there are {', '.join(SPECS)}")
    net = nn.Sequential(*layers)
    count = sum(p.numel() for p in net.parameters())
    assert count == SPECS[name].params, f"{name} has {count} parameters, not {SPECS[name].params}"
    return net


def train_flops(name):
    """Multiplications and additions of one training step per example.

    Forward, weight gradient and input gradient cost the same; the first layer needs no input
    gradient.
    """
    import torch
    from torch import nn

    net = torch_net(name).eval()
    macs = []

    def count(layer, inputs, output):
        per_output = layer.weight[0].numel()
        macs.append(per_output * output[0].numel())

    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        net(torch.zeros(1, *SPECS[name].shape))
    return 2 * (3 * sum(macs) - macs[0])


def jax_mlp_step(lr, momentum):
    """(initial state, jitted step): one step is loss, gradients and the update; the state is donated."""
    import jax
    import jax.numpy as jnp

    widths = (784, 300, 100, 10)
    weights = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        key = jax.random.PRNGKey(i)
        weights.append((jax.random.normal(key, (a, b)) * (2 / a) ** 0.5, jnp.zeros(b)))

    def loss_of(layers, x, labels):
        for i, (w, b) in enumerate(layers):
            x = x @ w + b
            if i + 1 < len(layers):
                x = jax.nn.relu(x)
        log_p = jax.nn.log_softmax(x)
        return -jnp.take_along_axis(log_p, labels[:, None], 1).mean()

    def step(state, x, labels):
        layers, velocity = state
        loss, grads = jax.value_and_grad(loss_of)(layers, x, labels)
        velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, grads)
        layers = jax.tree.map(lambda w, v: w - lr * v, layers, velocity)
        return (layers, velocity), loss

    return (weights, jax.tree.map(jnp.zeros_like, weights)), jax.jit(step, donate_argnums=0)
