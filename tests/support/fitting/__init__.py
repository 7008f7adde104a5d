"""Small trainings with `fit`, in this process and in ones that end early."""
