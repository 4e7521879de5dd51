FORM debian:12.11-slim
