"""The compiler's passes: one file, one verb, one public function each."""
