"""Operations shared by the image formation models."""
