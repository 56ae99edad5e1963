"""What happens when one component or option is another one."""
