"""LeNet-5 with tanh and max pooling, and the training loop of a course, for PyTorch."""

import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

BATCH_SIZE = 100
N_EPOCHS = int(os.environ.get("EPOCHS", "10"))
N_BATCHES = int(os.environ.get("BATCHES", "0"))

torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
transform = transforms.Compose([transforms.ToTensor(), transforms.Resize((32, 32))])
train_set = datasets.MNIST(root=os.environ["MINICNN_DATA"], train=True, transform=transform, download=False)
test_set = datasets.MNIST(root=os.environ["MINICNN_DATA"], train=False, transform=transform, download=False)
train_loader = DataLoader(dataset=train_set, batch_size=BATCH_SIZE, shuffle=True)
test_loader = DataLoader(dataset=test_set, batch_size=BATCH_SIZE, shuffle=False)


class LeNet5(nn.Module):
    def __init__(self, n_classes):
        super(LeNet5, self).__init__()
        self.feature_extractor = nn.Sequential(
            nn.Conv2d(in_channels=1, out_channels=6, kernel_size=5, stride=1),
            nn.Tanh(),
            nn.MaxPool2d(kernel_size=2),
            nn.Conv2d(in_channels=6, out_channels=16, kernel_size=5, stride=1),
            nn.Tanh(),
            nn.MaxPool2d(kernel_size=2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(in_features=16 * 5 * 5, out_features=120),
            nn.Tanh(),
            nn.Linear(in_features=120, out_features=84),
            nn.Tanh(),
            nn.Linear(in_features=84, out_features=n_classes),
        )

    def forward(self, x):
        x = self.feature_extractor(x)
        x = torch.flatten(x, 1)
        logits = self.classifier(x)
        probs = F.softmax(logits, dim=1)
        return logits, probs


def get_accuracy(model, data_loader, device):
    correct_pred, n = 0, 0
    with torch.no_grad():
        model.eval()
        for X, y_true in data_loader:
            X, y_true = X.to(device), y_true.to(device)
            _, y_prob = model(X)
            _, predicted_labels = torch.max(y_prob, 1)
            n += y_true.size(0)
            correct_pred += (predicted_labels == y_true).sum()
    return correct_pred.float() / n


def train(loader, model, criterion, optimizer, device):
    model.train()
    running_loss, seen = 0, 0
    for i, (X, y_true) in enumerate(loader):
        if N_BATCHES and i >= N_BATCHES:
            break
        optimizer.zero_grad()
        X, y_true = X.to(device), y_true.to(device)
        y_hat, _ = model(X)
        loss = criterion(y_hat, y_true)
        running_loss += loss.item() * X.size(0)
        seen += X.size(0)
        loss.backward()
        optimizer.step()
    return model, optimizer, running_loss / seen


model = LeNet5(10).to(device)
print(model)
n_parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
optimizer = optim.SGD(model.parameters(), lr=float(os.environ.get("LR", "0.01")))
criterion = nn.CrossEntropyLoss()
losses = []
for epoch in range(N_EPOCHS):
    model, optimizer, train_loss = train(train_loader, model, criterion, optimizer, device)
    losses.append(train_loss)
    print(f"Epoch: {epoch}\tTrain loss: {train_loss:.4f}")
accuracy = get_accuracy(model, test_loader, device).item()
print(f"Accuracy: {100 * accuracy:.2f}")
