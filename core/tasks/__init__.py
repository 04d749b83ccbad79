"""Skills: settings in, result out."""
