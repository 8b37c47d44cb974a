"""Operations that several image formation models share."""
