"""Stage 5: who must know. Routes and escalations ask for deliveries; a loop sends them through channels."""
